"""Who delivers messages beside Tidings, each as its users would write and run it."""
