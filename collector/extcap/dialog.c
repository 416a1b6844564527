/* extcap: what Wireshark asks; what streams hold is never looked at here. */
/* What Wireshark is told of the interfaces. */
#include "dialog.h"

#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "collector/desk/remote.h"
#include "request.h"

/* Wireshark offers to ask for values again only in selectors. */
static const char OF_APPS[] =
	"arg {number=0}{call=--app}{display=App}{type=selector}{reload=true}{required=true}"
	"{placeholder=Load the apps}{tooltip=An app of the space that cf is at, or several, with commas between}\n"
	"arg {number=1}{call=--process}{display=Process}{type=string}{default=web}{tooltip=The process of the app}\n"
	"arg {number=2}{call=--instances}{display=Instances}{type=selector}{reload=true}"
	"{placeholder=Load the instances}{tooltip=All, or one}\n"
	"arg {number=9}{call=--instance-list}{display=Or a list of instances}{type=string}{placeholder=0,2-4}"
	"{tooltip=Instead of the choice above}\n"
	"arg {number=3}{call=--interface}{display=Interface there}{type=selector}"
	"{tooltip=Where to capture}\n";

static const char OF_HOSTS[] =
	"arg {number=0}{call=--hosts}{display=Hosts}{type=string}{required=true}"
	"{tooltip=Names for ssh, with commas between. ssh cannot ask for a password here}\n"
	"arg {number=3}{call=--interface}{display=Interface there}{type=string}{default=any}"
	"{tooltip=Where to capture, or several with commas between}\n";

static const char SHARED[] =
	"arg {number=4}{call=--headers-only}{display=Only headers, no payload}{type=boolflag}"
	"{tooltip=The program there cuts each packet at the end of its headers}\n"
	"arg {number=5}{call=--snaplen}{display=Bytes kept of each packet}{type=unsigned}{range=1," EXTCAP_SNAPLEN "}"
	"{default=" EXTCAP_SNAPLEN "}\n"
	"arg {number=6}{call=--window}{display=Wait for other instances}{type=string}{default=500ms}"
	"{tooltip=How long a packet waits at most for others that may stand before it}\n"
	"arg {number=7}{call=--remote}{display=Program there}{type=string}{default=" REMOTE_DEFAULT "}"
	"{tooltip=cf-pcap, tcpdump or dumpcap}{group=Way}\n";

static const char WAY[] =
	"arg {number=8}{call=--via}{display=Command that gets there}{type=string}{default=%s}"
	"{tooltip=See -via in cf-pcap-collect(1)}{group=Way}\n";

static const char *const INTERFACES_THERE[] = { "lo", "eth0", "lo,eth0", "any" };

void dialog_print_interfaces(void)
{
	puts("extcap {version=" CFPCAP_VERSION "}{display=cf-pcap}\n"
	     "interface {value=" EXTCAP_APP "}{display=Cloud Foundry app}\n"
	     "interface {value=" EXTCAP_SSH "}{display=cf-pcap over ssh}");
}

void dialog_print_dlts(void)
{
	puts("dlt {number=1}{name=EN10MB}{display=As each interface has it}");
}

void dialog_print_arguments(bool is_app)
{
	fputs(is_app ? OF_APPS : OF_HOSTS, stdout);
	fputs(SHARED, stdout);
	printf(WAY, is_app ? "cf" : "ssh");
	if (!is_app)
		return;
	dialog_print_value(DIALOG_INSTANCES, "all", "all that run", true);
	for (size_t i = 0; i < sizeof INTERFACES_THERE / sizeof *INTERFACES_THERE; i++)
		dialog_print_value(DIALOG_INTERFACE, INTERFACES_THERE[i], INTERFACES_THERE[i], i == 0);
}

static void print_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= ' ' && strchr("{}\x7f", *text) == NULL)
			putchar(*text);
}

void dialog_print_value(int argument, const char *value, const char *shown, bool is_default)
{
	printf("value {arg=%d}{value=", argument);
	print_plain(value);
	fputs("}{display=", stdout);
	print_plain(shown);
	printf("}%s\n", is_default ? "{default=true}" : "");
}
