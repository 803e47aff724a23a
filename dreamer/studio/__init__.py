"""The studio: a page on which one watches a photo dream: its server, its queue, its gallery, and the page itself."""
