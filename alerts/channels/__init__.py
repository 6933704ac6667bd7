"""One module per way to reach people; `port` says what each of them offers."""
