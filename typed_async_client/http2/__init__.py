"""What httpcore's HTTP/2 leaves undone: goodbyes, abandoned streams, and the frames that tell of them."""
