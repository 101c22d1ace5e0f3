"""The privacy promises: erasing people and shops, and handing out what is kept about them."""
