"""Processes and addresses of this machine, for every backend that starts something here, also those of others.

What is started, and from which files, is the backend's and shipping/'s.
"""
