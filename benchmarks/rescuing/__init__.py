"""What ``rescue.py`` consists of: a server that fails, clients, their turns, tables and the chart."""
