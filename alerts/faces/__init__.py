"""What everybody can see and hear without being written to: screens, radio, hotline."""
