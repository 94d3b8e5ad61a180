"""Sample traffic: what three systems of a firm send in two weeks, as real OTLP bodies. Pure: nothing is sent here."""
