# A program that fails says why in its last line, instead of where.
at_exit do
  if $! && !$!.is_a?(SystemExit) && !$!.is_a?(SignalException)
    warn "#{$!.class}: #{$!.message}".split.join(" ")
    exit!(1)
  end
end
