"""Jobs: a dream, film, folder or atlas as work that is kept on disk, told of in events, and resumed after a kill."""
