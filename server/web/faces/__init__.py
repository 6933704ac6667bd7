"""Pages and interfaces for everybody: public page, widget, screens, hotline."""
