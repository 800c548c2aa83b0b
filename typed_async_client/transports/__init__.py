"""How bytes reach the network, and what httpx's own way of it needs to be safe."""
