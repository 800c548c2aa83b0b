"""HTTP/2, RFC 9113: the protocol is h2's, the exchanges on it are ours."""
