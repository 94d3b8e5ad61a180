"""What trains the detectors' models: grammars of examples, labelled sources, an optimiser. Not part of the product."""
