"""What an explanation is: of clips, and of a whole video; one file format."""
