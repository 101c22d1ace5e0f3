"""What is wrong with an installation, in sentences: looked for when somebody asks. Nothing is changed."""
