"""Sign-in and sessions at the edge of the console: who may pass, under which address, with which cookie."""
