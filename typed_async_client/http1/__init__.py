"""What HTTP/1.1 needs beside its exchange: reading, asking first, switching, and h11 without locks."""
