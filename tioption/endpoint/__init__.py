"""The reference endpoint: a small sans-IO TCP, the isolation boundary on it, a host of them, and links to run them on."""
