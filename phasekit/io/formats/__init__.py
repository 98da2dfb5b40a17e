"""One module per file format, in one folder per instrument; shared parts of the readers lie here."""
