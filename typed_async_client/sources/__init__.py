"""What request bodies are read from: files, iterators and generators, and how each of them is read."""
