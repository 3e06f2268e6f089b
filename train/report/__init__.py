"""The student's page: what runs and sweeps came to, read from their files and their stores."""
