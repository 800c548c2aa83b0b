"""Downloads to files: what a response means for what is on the disk, the files, and the transfer."""
