"""Pure decisions: numbers and values in, a value out. No clock, no chance, no I/O."""
