"""The one door: Repository, and what opens one."""
