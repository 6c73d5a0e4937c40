"""What tools/job_trials.py is made of: data, models of its own, and what is done to jobs."""
