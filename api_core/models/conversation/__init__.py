"""What is put before a vision-language model and what comes back: plain values, for models here and on servers."""
