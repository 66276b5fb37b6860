"""Running engines: processes, replicas, devices, fleets."""
