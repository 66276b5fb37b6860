"""Deciding: plans, deployments and the controller that makes them true."""
