# What is handed to others: the lifecycle archive, the BOSH release parts, the Debian packages.

# The date of this version: the same source, from wherever it comes, gives the same bytes.
lifecycle bosh deb: export SOURCE_DATE_EPOCH ?= \
	$(shell date +%s -d "$$(sed -n '/^ -- .*>  /{s///p;q}' packaging/debian/changelog)")

VERSION = $(shell sed -n 's/.*CFPCAP_VERSION "\(.*\)"/\1/p' base/version.h)
LIFECYCLE = $(BUILD)/cf-pcap-lifecycle.tgz
BOSH = $(BUILD)/bosh
DEB_SOURCE = $(BUILD)/deb/cf-pcap-$(VERSION)

# One file, stripped, with cap_net_raw=p. As root.
lifecycle: all
	@rm -rf $(BUILD)/lifecycle $(LIFECYCLE)
	@mkdir -p $(BUILD)/lifecycle
	$(Q)$(STRIP) -o $(BUILD)/lifecycle/cf-pcap $(BUILD)/cf-pcap
	$(SAY) TAR $(LIFECYCLE)
	$(Q)packaging/add-to-archive $(LIFECYCLE) $(BUILD)/lifecycle

# What packaging/bosh/README.md tells to copy into a BOSH release, with the lifecycle archive as
# its blob.
bosh: lifecycle
	@rm -rf $(BOSH)
	$(Q)cp -R packaging/bosh $(BOSH)
	$(Q)cp common/cleanup.h packaging/add-to-archive packaging/hardening-flags $(BOSH)/src/cf-pcap/
	$(Q)mkdir -p $(BOSH)/blobs/cf-pcap
	$(Q)cp $(LIFECYCLE) $(BOSH)/blobs/cf-pcap/
	$(SAY) BOSH $(BOSH)

# The source is copied first: debhelper wants ./debian, and leaves traces in its tree. DEB_HOST_ARCH=arm64
# builds for another architecture, with a cross compiler and that architecture's libraries.
deb:
	@command -v dpkg-buildpackage >/dev/null || { \
		echo "no dpkg-buildpackage here: install Debian's packages dpkg-dev, debhelper and po-debconf" >&2; exit 1; }
	@rm -rf $(BUILD)/deb
	@mkdir -p $(DEB_SOURCE)
	$(Q)cp -R Makefile $(wildcard LICENSE README.md OPERATOR.md SECURITY.md KERNELS.md PERFORMANCE.md NEWS) base collector common formats helper sandbox tail writer packaging $(DEB_SOURCE)/
	$(Q)mv $(DEB_SOURCE)/packaging/debian $(DEB_SOURCE)/debian
	$(Q)cd $(DEB_SOURCE) && env -u MAKEFLAGS dpkg-buildpackage --build=binary --unsigned-changes \
		$(if $(DEB_HOST_ARCH),--host-arch=$(DEB_HOST_ARCH)) \
		>../build.log 2>&1 || { cat ../build.log; exit 1; }
	$(Q)cp $(BUILD)/deb/cf-pcap_$(VERSION)_*.deb $(BUILD)/deb/cf-pcap-collect_$(VERSION)_*.deb $(BUILD)/
	$(SAY) DEB $(BUILD)/cf-pcap_$(VERSION)_*.deb $(BUILD)/cf-pcap-collect_$(VERSION)_*.deb

.PHONY: lifecycle bosh deb
