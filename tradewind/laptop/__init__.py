"""The pipeline as processes of this machine: started, watched, restarted, ended, added up."""
