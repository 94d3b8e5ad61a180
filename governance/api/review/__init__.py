"""Human review over HTTP: users' reports, and cases."""
