"""How far back in time the gradients of recurrent cells reach, and how long the cells learn to remember."""
