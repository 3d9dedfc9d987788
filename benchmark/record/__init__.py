"""One run on disk: what it did (the journal), how it was made (run.json), how it ended, how busy the machine was."""
