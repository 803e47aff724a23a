"""Jobs: a dream, film, folder or atlas as work that is saved on disk, reports events, and resumes after a kill."""
