"""Pictures in and out: every format, its colours and its metadata; contact sheets and pages of pictures."""
