"""The reference endpoint: a small sans-IO TCP, the isolation boundary on it, a host, and links to run it on."""
