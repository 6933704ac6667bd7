"""From MQTT bytes to committed rows."""
