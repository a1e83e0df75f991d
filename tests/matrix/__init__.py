"""The plugin in the Wireshark of other releases of Debian and Ubuntu: `make dissector-matrix`, as root."""
