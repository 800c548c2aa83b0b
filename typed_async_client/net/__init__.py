"""Connected sockets: names, addresses, streams, and how long anybody waits for them."""
