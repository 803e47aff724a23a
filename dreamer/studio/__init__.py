"""The studio: a page on which somebody watches a photo dream. Its server, its queue, its gallery, and the page itself."""
