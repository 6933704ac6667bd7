"""All that runs centrally: store, ingest, watch, web and the `fenghuo` command."""
