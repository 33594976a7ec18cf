"""A FastAPI application with the pages of *Voice*: rendered on the server, without scripts."""
