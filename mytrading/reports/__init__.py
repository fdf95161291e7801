"""HTML reports: one page template and one module of charts for every command that writes a page."""
