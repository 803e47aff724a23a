"""Pictures in and out: every format, its colours and what else is in the file; sheets and pages of them."""
