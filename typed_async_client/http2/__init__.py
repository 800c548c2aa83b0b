"""What httpcore's HTTP/2 lacks: graceful shutdown, and cleanup after abandoned streams."""
