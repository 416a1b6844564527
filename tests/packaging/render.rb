# Renders a job's template as BOSH does: render.rb SPEC TEMPLATE [PROPERTY=VALUE...]
require 'erb'
require 'yaml'

spec_file, template, *given = ARGV
values = YAML.load_file(spec_file)['properties'].transform_values { |property| property['default'] }
given.each do |pair|
  name, value = pair.split('=', 2)
  abort "not in the spec: #{name}" unless values.key?(name)
  values[name] = YAML.safe_load(value)
end
define_method(:p) { |name| values.fetch(name) }
puts ERB.new(File.read(template), trim_mode: '-').result(binding)
