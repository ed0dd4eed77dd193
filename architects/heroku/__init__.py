"""A server on Heroku: an app for the run, made over the Platform API and deleted again.

What any backend needs to ship a router is in shipping/.
"""
