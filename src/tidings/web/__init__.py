"""HTTP plumbing: the application, problem details, request ids, body limits, access and health."""
