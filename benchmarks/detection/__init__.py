"""How much the detectors and the default policies find of public labelled sets, beside what else can be installed."""
