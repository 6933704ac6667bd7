"""Archives to verify with: tables, netCDF files, the database, all as readings by time."""
