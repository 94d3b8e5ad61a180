"""The console's building blocks. Words from calls pass only through `marked` and the text-only elements."""
